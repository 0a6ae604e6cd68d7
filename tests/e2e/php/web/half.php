<?php
header('Content-Length: 1000');
echo 'secret7';
