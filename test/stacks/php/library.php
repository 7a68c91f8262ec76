<?php
// Looks for each extension that the stack has a file of among those that are loaded, and reflects every function and class of all.
$loaded = array_unique(array_map('strtolower', array_merge(get_loaded_extensions(), get_loaded_extensions(true))));
$failed = [];
foreach (glob(ini_get('extension_dir') . '/*.so') as $file) {
    $name = basename($file, '.so');
    if (!in_array($name === 'opcache' ? 'zend opcache' : $name, $loaded, true)) {
        $failed[] = "$name: not loaded";
    }
}
$count = 0;
foreach (get_loaded_extensions() as $name) {
    $extension = new ReflectionExtension($name);
    foreach ($extension->getDependencies() as $other => $kind) {
        if ($kind === 'Required' && !in_array(strtolower($other), $loaded, true)) {
            $failed[] = "$name: needs $other";
        }
    }
    foreach ($extension->getFunctions() as $function) {
        // A function that was taken out of its extension is listed all the same.
        if (!function_exists($function->getName())) $failed[] = "$name: no function {$function->getName()}";
    }
    foreach ($extension->getClasses() as $class) {
        $class->getMethods();
        $class->getConstants();
        $class->getDefaultProperties();
    }
    $count += count($extension->getFunctions()) + count($extension->getClasses());
}
// What PHP brings as long as nobody leaves it out, and what the stack says that it has.
$expected = ['ctype', 'curl', 'dom', 'fileinfo', 'filter', 'hash', 'iconv', 'intl', 'json', 'libxml', 'mbstring', 'openssl', 'pcre',
    'pdo', 'phar', 'posix', 'random', 'session', 'simplexml', 'sodium', 'spl', 'tokenizer', 'xml', 'xmlreader', 'xmlwriter', 'zlib'];
if (PHP_VERSION_ID < 80200) $expected = array_diff($expected, ['random']);
foreach (array_diff($expected, $loaded) as $name) $failed[] = "$name: missing";
echo count($loaded), " extensions, $count functions and classes\n";
fwrite(STDERR, implode("\n", $failed) . "\n");
exit($failed === [] && $count > 1500 ? 0 : 1);
