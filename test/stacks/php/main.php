<?php
// Uses PHP's standard library, its compiled extensions (curl, intl, mbstring, dom), TLS, time zones and the payload; prints one line of JSON.
[$text, $line] = explode("\n", file_get_contents(getenv('PAYLOAD_FILE')));
$numbers = array_map('intval', explode(' ', $line));
sort($numbers);

function fetch(array $options): array
{
    $request = curl_init(getenv('TEST_URL'));
    curl_setopt_array($request, $options + [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 10]);
    return [curl_exec($request), curl_errno($request)];
}

$document = new DOMDocument();
$document->loadXML('<list><n>40</n><n>2</n></list>');
$native = 0;
foreach ($document->getElementsByTagName('n') as $node) {
    $native += (int) $node->textContent;
}
$noon = new DateTime('2024-07-01T12:00:00Z');
echo json_encode([
    'version' => PHP_VERSION,
    'text' => $text,
    'length' => mb_strlen($text, 'UTF-8'),
    'sorted' => $numbers,
    'sum' => array_sum($numbers),
    'native' => $native,
    'tls' => fetch([CURLOPT_CAINFO => getenv('TEST_CA')])[0],
    'refused' => fetch([])[1] === 60, // CURLE_PEER_FAILED_VERIFICATION
    'time' => $noon->setTimezone(new DateTimeZone('America/New_York'))->format('Y-m-d H:i'),
]), "\n";
