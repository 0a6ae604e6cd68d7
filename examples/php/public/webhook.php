<?php
// Answers the calls that wampush passes on: cart.add, cart.list.
require __DIR__ . '/../push.php';

const SECONDS = 300;

function signed(string $body, string $header, string $secret): bool
{
    if (!preg_match('/^t=(\d+),v1=([0-9a-f]{64})$/', $header, $found)) {
        return false;
    }
    $right = hash_hmac('sha256', "$found[1].$body", $secret);
    return hash_equals($right, $found[2]) && abs(time() - (int) $found[1]) <= SECONDS;
}

$body = file_get_contents('php://input');
$secret = trim(file_get_contents(getenv('EXAMPLE_SECRET')));
if (!signed($body, $_SERVER['HTTP_WAMPUSH_SIGNATURE'] ?? '', $secret)) {
    http_response_code(403);
    exit;
}
$question = json_decode($body, true);
// The session of the browser that calls: whoami.php told its id.
session_id($question['session']['web_session']);
session_start(['use_cookies' => 0]);
header('Content-Type: application/json');
if ($question['procedure'] === 'cart.add') {
    $article = $question['arguments'][0] ?? null;
    if (!in_array($article, ['apple', 'pear'], true)) {
        echo json_encode(['error' => ['desc' => 'We sell apples and pears.']]);
        exit;
    }
    $_SESSION['cart'][] = $article;
    push("user.{$_SESSION['user']}", ['text' => "One $article more in your cart."], $_SESSION['user']);
}
echo json_encode(['result' => $_SESSION['cart']]);
