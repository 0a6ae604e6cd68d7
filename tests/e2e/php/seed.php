<?php
// The shortest backend: what a page request does when something has changed.
$array = [
    'category' => 'MainCategory',
    'title' => 'Grüße aus Köln',
    'price' => 12.5,
];
$context = new \ZMQContext();
$socket = $context->getSocket(\ZMQ::SOCKET_PUSH, 'my pusher');
$socket->connect($argv[1]);
$socket->send(json_encode($array));
