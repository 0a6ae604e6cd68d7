<?php
// Pushes from the shell or from any page: php push.php TOPIC JSON [USER]
function push(string $topic, array $event, ?string $user = null): void
{
    $parts = [$topic, json_encode($event)];
    if ($user !== null) {
        $parts[] = json_encode(['to' => ['users' => [$user]]]);
    }
    $socket = (new ZMQContext())->getSocket(ZMQ::SOCKET_PUSH);
    $socket->setSockOpt(ZMQ::SOCKOPT_LINGER, 1000);
    $socket->connect(getenv('EXAMPLE_ZMQ') ?: 'tcp://127.0.0.1:5555');
    $socket->sendmulti($parts);
}

if (PHP_SAPI === 'cli') {
    if ($argc < 3 || !is_array(json_decode($argv[2], true))) {
        fwrite(STDERR, "usage: php push.php TOPIC '{\"text\": \"hello\"}' [USER]\n");
        exit(2);
    }
    push($argv[1], json_decode($argv[2], true), $argv[3] ?? null);
}
