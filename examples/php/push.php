<?php
// Pushes from the shell or from any page: php push.php [--to ADDRESS] TOPIC JSON [USER]
const MILLISECONDS = 2000;

// Throws a ZMQSocketException when no wampush takes the push in time.
function push(string $topic, array $event, ?string $user = null, ?string $address = null): void
{
    $parts = [$topic, json_encode($event)];
    if ($user !== null) {
        $parts[] = json_encode(['to' => ['users' => [$user]]]);
    }
    $socket = (new ZMQContext())->getSocket(ZMQ::SOCKET_PUSH);
    // Queue nothing for a wampush that is not there: wait for the connection, then give up.
    $socket->setSockOpt(ZMQ::SOCKOPT_IMMEDIATE, 1);
    $socket->setSockOpt(ZMQ::SOCKOPT_SNDTIMEO, MILLISECONDS);
    $socket->setSockOpt(ZMQ::SOCKOPT_LINGER, MILLISECONDS);
    $address ??= getenv('EXAMPLE_ZMQ') ?: 'tcp://127.0.0.1:5555';
    $socket->connect($address);
    if (!$socket->sendmulti($parts)) {
        throw new ZMQSocketException("no wampush takes pushes at $address");
    }
}

if (PHP_SAPI === 'cli') {
    $arguments = array_slice($argv, 1);
    $address = null;
    if (($arguments[0] ?? null) === '--to') {
        $address = $arguments[1] ?? '';
        $arguments = array_slice($arguments, 2);
    }
    if ($address === '' || count($arguments) < 2 || !is_array(json_decode($arguments[1], true))) {
        fwrite(STDERR, "usage: php push.php [--to ADDRESS] TOPIC '{\"text\": \"hello\"}' [USER]\n");
        exit(2);
    }
    try {
        push($arguments[0], json_decode($arguments[1], true), $arguments[2] ?? null, $address);
    } catch (ZMQSocketException $error) {
        fwrite(STDERR, "push.php: {$error->getMessage()}\n");
        exit(1);
    }
}
