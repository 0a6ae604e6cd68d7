<?php
// Says who a client is by its session cookie, as CleverStyle keeps it: user, language, session id.

const SESSIONS = [
    'aaf4c61ddcc5e8a2' => ['user' => '7', 'language' => 'uk', 'groups' => ['2']],
    'bb11d2c3e4f5a6b7' => ['language' => 'en'],
];

$question = json_decode(file_get_contents('php://input'), true, 16, JSON_THROW_ON_ERROR);
$session = $question['cookies']['session'] ?? '';
if (!isset(SESSIONS[$session])) {
    http_response_code(401);
    exit;
}
header('Content-Type: application/json');
echo json_encode(SESSIONS[$session] + ['session' => $session]);
