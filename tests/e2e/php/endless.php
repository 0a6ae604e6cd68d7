<?php
// A backend that pushes until it is killed.
$context = new \ZMQContext();
$socket = $context->getSocket(\ZMQ::SOCKET_PUSH, 'my pusher');
$socket->connect($argv[1]);
for ($number = 1; ; $number++) {
    $socket->send(json_encode(['category' => 'MainCategory', 'title' => 'endless', 'number' => $number]));
    usleep(1000);
}
