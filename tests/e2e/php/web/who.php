<?php
// Tells wampush who the browser is that wants to connect.
session_start(['use_strict_mode' => 1]);
header('Content-Type: application/json');
if (!array_key_exists('user', $_SESSION)) {
    http_response_code(401);
    exit;
}
if ($_SESSION['user'] === '') {
    http_response_code(403);
    exit;
}
echo json_encode([
    'user' => $_SESSION['user'],
    'groups' => $_SESSION['groups'],
    'language' => $_SESSION['language'],
    'data' => ['name' => $_SESSION['user']],
]);
