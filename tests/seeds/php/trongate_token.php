<?php
// Says who a client is by the URL of its WebSocket, as Trongate looks it up in its table of tokens.

const TOKENS = ['QmvFNXSEH9wcCyZe' => 7, 'fGNqKpVXBdJbe4t3' => 8];

$question = json_decode(file_get_contents('php://input'), true, 16, JSON_THROW_ON_ERROR);
parse_str($question['query'], $url);
$user = TOKENS[$url['trongateToken'] ?? ''] ?? null;
if ($user === null || ($url['user_id'] ?? '') !== (string) $user) {
    http_response_code(401);
    exit;
}
header('Content-Type: application/json');
echo json_encode(['user' => (string) $user, 'data' => ['level' => 'member']]);
