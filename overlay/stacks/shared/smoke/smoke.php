<?php
// php smoke.php 8.4 sqlite3: checks that this is PHP 8.4 with its usual extensions and the named ones.
[, $version] = $argv;

function check(string $what, bool $holds): void
{
    if (!$holds) {
        fwrite(STDERR, "$what fails\n");
        exit(1);
    }
}

check('PHP ' . PHP_VERSION, strpos(PHP_VERSION, "$version.") === 0);
foreach (array_merge(['curl', 'intl', 'json', 'mbstring', 'openssl', 'xml'], array_slice($argv, 2)) as $extension) {
    check("extension $extension", extension_loaded($extension));
}
check('mbstring', mb_strlen('Zürich') === 6);
check('time zones', date_create('@0')->setTimezone(new DateTimeZone('Asia/Tokyo'))->format('H') === '09');
