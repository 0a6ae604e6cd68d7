<?php
// PHP's built-in web server calls this script first; AutobahnJS is in the folder of the run.
if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) === '/autobahn.min.js') {
    header('Content-Type: text/javascript');
    readfile(getenv('EXAMPLE_FOLDER') . '/autobahn.min.js');
    return true;
}
return false;
