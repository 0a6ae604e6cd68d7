<html>secret7</html>
