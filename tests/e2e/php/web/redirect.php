<?php
header('Location: /login.php?user=secret7');
