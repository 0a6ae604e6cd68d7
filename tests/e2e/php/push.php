<?php
// A backend: for each line of standard input, an array with a category, pushed as JSON.
$context = new \ZMQContext();
$socket = $context->getSocket(\ZMQ::SOCKET_PUSH, 'my pusher');
$socket->connect($argv[1]);

while (($line = fgets(STDIN)) !== false) {
    $array = (array) json_decode($line, false, 512, JSON_THROW_ON_ERROR);
    $socket->send(json_encode($array, JSON_THROW_ON_ERROR));
}
