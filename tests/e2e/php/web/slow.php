<?php
sleep(20);
