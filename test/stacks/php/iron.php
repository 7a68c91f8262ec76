<?php
// A program for IronWorker: its client library looks for the input in the command line.
function arguments() {
    global $argv;
    $found = ['id' => null, 'payload' => null, 'config' => null, 'schedule' => null];
    foreach ($argv as $index => $word) {
        if (!isset($argv[$index + 1])) continue;
        $value = $argv[$index + 1];
        if ($word == '-id') $found['id'] = $value;
        if ($word == '-d') $found['folder'] = $value;
        if ($word == '-payload' && file_exists($value)) $found['payload'] = json_decode(file_get_contents($value));
        if ($word == '-config' && file_exists($value)) $found['config'] = json_decode(file_get_contents($value));
        if ($word == '-schedule_id') $found['schedule'] = $value;
    }
    return $found;
}

$found = arguments();
echo json_encode([
    'id' => $found['id'],
    'payload' => $found['payload'],
    'config' => $found['config'],
    'schedule' => $found['schedule'],
    'beside' => trim(file_get_contents($found['folder'] . 'iron.txt')),
]), "\n";
