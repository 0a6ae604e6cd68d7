<?php
// PHP's built-in web server calls this script first. It serves what the examples share, and what is
// not in this folder: AutobahnJS, and the reason for which wampush refused a connection.
const TYPES = ['css' => 'text/css', 'js' => 'text/javascript', 'svg' => 'image/svg+xml'];
const SHARED = [
    '/static/site.css' => __DIR__ . '/../../static/site.css',
    '/static/connection-state.js' => __DIR__ . '/../../static/connection-state.js',
    '/static/wampush.svg' => __DIR__ . '/../../static/wampush.svg',
    '/shared/wamp.js' => __DIR__ . '/../shared/wamp.js',
];
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/refusal.json') {
    $context = stream_context_create(['http' => ['timeout' => 2]]);
    $refusal = @file_get_contents(getenv('EXAMPLE_HTTP') . '/demo/refusal.json', false, $context);
    header('Content-Type: application/json');
    echo $refusal === false ? '{"refusal": null}' : $refusal;
    return true;
}
$file = SHARED[$path] ?? null;
if ($path === '/autobahn.min.js') {
    $file = getenv('EXAMPLE_FOLDER') . '/autobahn.min.js';
}
if ($file === null) {
    return false;
}
header('Content-Type: ' . TYPES[pathinfo($file, PATHINFO_EXTENSION)] . '; charset=utf-8');
readfile($file);
return true;
