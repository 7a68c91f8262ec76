/** The sample jobs of the quick start: one program in five languages, which adds the numbers of its payload. */

/** @typedef {{stack: string, command: readonly string[]}} SampleJob */

const python = [
  'import json, os, platform',
  "numbers = json.load(open(os.environ['PAYLOAD_FILE']))['numbers']",
  "print(f'Python {platform.python_version()}: the sum is {sum(numbers)}')",
];
const ruby = [
  "require 'json'",
  "numbers = JSON.parse(File.read(ENV['PAYLOAD_FILE']))['numbers']",
  'puts "Ruby #{RUBY_VERSION}: the sum is #{numbers.sum}"',
];
const javascript = [
  "const { numbers } = JSON.parse(require('fs').readFileSync(process.env.PAYLOAD_FILE));",
  "console.log('Node ' + process.version + ': the sum is ' + numbers.reduce((a, b) => a + b));",
];
const php = [
  "$numbers = json_decode(file_get_contents(getenv('PAYLOAD_FILE')))->numbers;",
  "echo 'PHP ', PHP_VERSION, ': the sum is ', array_sum($numbers), PHP_EOL;",
];
const perl = [
  'use JSON::PP; use List::Util qw(sum);',
  'open my $file, "<", $ENV{PAYLOAD_FILE} or die $!;',
  'my $numbers = decode_json(join "", <$file>)->{numbers};',
  'printf "Perl %vd: the sum is %d\\n", $^V, sum(@$numbers);',
];

export const samplePayload = '{"numbers":[1,2,3,4,5]}';

/** @type {readonly SampleJob[]} */
export const sampleJobs = [
  { stack: 'python-3.13', command: ['python3', '-c', python.join('\n')] },
  { stack: 'ruby-3.3', command: ['ruby', '-e', ruby.join('\n')] },
  { stack: 'node-20', command: ['node', '-e', javascript.join('\n')] },
  { stack: 'php-8.4', command: ['php', '-r', php.join('\n')] },
  { stack: 'perl-5.40', command: ['perl', '-e', perl.join('\n')] },
];
