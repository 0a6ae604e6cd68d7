<?php
// wampush asks with the cookies of the browser that connects, so this is its session.
session_start(['read_and_close' => true]);
header('Content-Type: application/json');
if (!isset($_SESSION['user'])) {
    http_response_code(401);
    exit;
}
echo json_encode(['user' => $_SESSION['user'], 'session' => session_id()]);
