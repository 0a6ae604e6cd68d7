<?php
// A backend on another machine: its key, the server's key, one push.
// Arguments: address, public key of the server, our public key; our secret key on standard input.
[, $address, $server, $public] = $argv;
$secret = trim(file_get_contents('php://stdin'));

$socket = new ZMQSocket(new ZMQContext(), ZMQ::SOCKET_PUSH);
$socket->setSockOpt(ZMQ::SOCKOPT_CURVE_SERVERKEY, $server);
$socket->setSockOpt(ZMQ::SOCKOPT_CURVE_PUBLICKEY, $public);
$socket->setSockOpt(ZMQ::SOCKOPT_CURVE_SECRETKEY, $secret);
$socket->setSockOpt(ZMQ::SOCKOPT_LINGER, 10000);
$socket->connect($address);
$socket->send(json_encode(['category' => 'prices', 'price' => 101.25]));
