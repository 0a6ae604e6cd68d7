<?php
echo str_repeat('secret7 ', 100000);
