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
$page = json_encode(['url' => getenv('EXAMPLE_WEBSOCKET'), 'user' => $user]);
?>
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Shop · wampush</title>
  <link rel="icon" href="/static/wampush.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/static/site.css">
  <script src="/autobahn.min.js" defer></script>
  <script src="/static/connection-state.js" defer></script>
  <script src="/shared/wamp.js" defer></script>
  <script src="/shop.js" defer></script>
</head>
<body data-page="<?= htmlspecialchars($page) ?>">
  <div class="page narrow">
    <header class="top">
      <h1>Shop</h1>
      <p class="state" id="state" role="status">Connecting…</p>
      <p class="reason" id="reason" role="status" hidden></p>
    </header>

    <noscript><p class="notice card">This page needs JavaScript to open a WebSocket.</p></noscript>

    <main>
      <form class="panel card" method="post">
        <div class="panel-head">
          <h2>You</h2>
          <small>The WebSocket is open as <strong id="who">…</strong></small>
        </div>
        <div class="form">
<?php if ($user === null): ?>
          <label for="name">Name</label>
          <div class="field">
            <input id="name" name="name" required maxlength="40" autocomplete="nickname">
            <button class="primary">Log in</button>
          </div>
<?php else: ?>
          <div class="field between">
            <span>Logged in as <strong><?= htmlspecialchars($user) ?></strong></span>
            <input type="hidden" name="name" value="">
            <button>Log out</button>
          </div>
<?php endif ?>
        </div>
      </form>

      <section class="panel card" aria-labelledby="cart-title">
        <div class="panel-head"><h2 id="cart-title">Cart</h2></div>
        <div class="form">
          <p class="hint">wampush passes the call on to <code>webhook.php</code>, which then pushes to all your tabs.</p>
          <div class="field">
            <button type="button" class="add" data-article="apple" data-needs-connection disabled>Add an apple</button>
            <button type="button" class="add" data-article="pear" data-needs-connection disabled>Add a pear</button>
          </div>
          <p class="answer" id="answer" role="status"></p>
        </div>
        <ul class="lines" id="mine" aria-label="Changes of the cart" aria-live="polite"></ul>
        <p class="empty"><?= $user === null
            ? 'Log in and add something: every tab of yours shows it here.'
            : 'No changes yet. Add something: every tab of yours shows it here.' ?></p>
      </section>

      <section class="panel card" aria-labelledby="news-title">
        <div class="panel-head">
          <h2 id="news-title">News</h2>
          <small id="news-updated">for everybody</small>
        </div>
        <ul class="lines" id="news" aria-label="News" aria-live="polite"></ul>
        <div class="empty">
          <p>No news yet. To push some, run in the project’s folder:</p>
          <pre class="command" tabindex="0"><code id="push"><?= htmlspecialchars($push) ?></code></pre>
        </div>
      </section>
    </main>
  </div>
</body>
</html>
