<?php
session_start();
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    // A real application would ask for a password here.
    $name = trim($_POST['name'] ?? '');
    session_regenerate_id(true);
    $_SESSION = $name === '' ? [] : ['user' => $name, 'cart' => []];
    header('Location: /');
    exit;
}
$user = $_SESSION['user'] ?? null;
$push = 'php examples/php/push.php --to ' . getenv('EXAMPLE_ZMQ') . ' news \'{"text": "Sale!"}\'';
?>
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Shop</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }
section { border: 1px solid #ccc; border-radius: .5rem; margin: 1rem 0; padding: 0 1rem 1rem; }
</style>
<script src="/autobahn.min.js"></script>
</head>
<body>
<h1>Shop</h1>
<form method="post">
<?php if ($user === null): ?>
  <label>Name <input name="name" required maxlength="40"></label> <button>Log in</button>
<?php else: ?>
  Logged in as <strong><?= htmlspecialchars($user) ?></strong>.
  <input type="hidden" name="name" value=""> <button>Log out</button>
<?php endif ?>
</form>
<p>Connection: <span id="state">connecting</span>, as <span id="who">?</span>.</p>
<section>
  <h2>News</h2>
  <p>For everybody: <code id="push"><?= htmlspecialchars($push) ?></code></p>
  <ul id="news"></ul>
</section>
<section>
  <h2>Cart</h2>
  <p>A call that <code>webhook.php</code> answers; then it tells every tab of yours.</p>
  <p><button class="add" data-article="apple">Add an apple</button>
     <button class="add" data-article="pear">Add a pear</button></p>
  <p id="answer"></p>
  <ul id="mine"></ul>
</section>
<script>
var page = <?= json_encode(
    ['url' => getenv('EXAMPLE_WEBSOCKET'), 'user' => $user],
    JSON_HEX_TAG | JSON_HEX_AMP
) ?>;
function show(id, text) { document.getElementById(id).textContent = text; }
function add(id, text) {
    var item = document.createElement('li');
    item.textContent = text;
    document.getElementById(id).prepend(item);
}
ab.connect(page.url, function (session) {
    show('state', 'open');
    session.call('wampush.session').then(function (told) { show('who', told.user || 'nobody'); });
    session.subscribe('news', function (topic, event) { add('news', event.text); });
    if (page.user !== null) {
        session.subscribe('user.' + page.user, function (topic, event) { add('mine', event.text); });
    }
    document.querySelectorAll('.add').forEach(function (button) {
        button.onclick = function () {
            session.call('cart.add', button.dataset.article).then(
                function (cart) { show('answer', 'In the cart: ' + cart.join(', ')); },
                function (error) { show('answer', 'Refused: ' + error.desc); }
            );
        };
    });
}, function (code, reason) { show('state', reason); });
</script>
</body>
</html>
