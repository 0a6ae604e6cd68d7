<?php
// Stands for the login of an existing application: it only fills the PHP session.
session_start();
$_SESSION['user'] = $_GET['user'];
$_SESSION['groups'] = ['staff'];
$_SESSION['language'] = 'de';
echo session_name(), '=', session_id();
