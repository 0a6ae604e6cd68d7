<?php
// A page request of the web application that tells clients something: each element of the posted
// list is an action with details and a target, as send_to_clients of CleverStyle takes them.

const SEND_TO_ALL = 1;
const SEND_TO_REGISTERED_USERS = 2;
const SEND_TO_SPECIFIC_USERS = 3;
const SEND_TO_USERS_GROUP = 4;
const SEND_TO_SPECIFIC_SESSIONS = 5;

function send_to_clients(string $action, $details, int $send_to, $target = []): void
{
    static $socket = null;
    if ($socket === null) {
        $socket = new ZMQSocket(new ZMQContext(), ZMQ::SOCKET_PUSH, 'my pusher');
        $socket->connect($_GET['address']);
    }
    $to = [
        SEND_TO_ALL => new stdClass(),
        SEND_TO_REGISTERED_USERS => ['registered' => true],
        SEND_TO_SPECIFIC_USERS => ['users' => (array) $target],
        SEND_TO_USERS_GROUP => ['groups' => (array) $target],
        SEND_TO_SPECIFIC_SESSIONS => ['sessions' => (array) $target],
    ][$send_to];
    $socket->sendmulti([$action, json_encode($details), json_encode(['to' => $to])]);
}

foreach (json_decode(file_get_contents('php://input'), true, 512, JSON_THROW_ON_ERROR) as $sent) {
    send_to_clients(...$sent);
}
echo 'sent';
