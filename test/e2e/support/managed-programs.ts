/** Programs whose dependencies a package manager installs in a build step: the stack, the files, the command. Each prints 42. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { buildTar } from '../../support/images/tar-builder.ts';
import { buildZip } from '../../support/images/zip-builder.ts';

export interface ManagedProgram {
  readonly name: string;
  /** A folder of `overlay/`, the packages that a stack of its own has, or both: the packages are added to that folder's stack. */
  readonly stack: { readonly overlay?: string; readonly packages?: string };
  /** Relative path → content. `origin` is the URL of the mirror. */
  readonly files: (origin: string) => Readonly<Record<string, string | Buffer>>;
  readonly build: (origin: string) => string;
  /** The files that decide the dependencies, for a build step that installs them alone; absent: it builds the program, too. */
  readonly from?: readonly string[];
  readonly run: string;
  /** What the mirror serves: path → content. */
  readonly mirror?: Readonly<Record<string, string | Buffer>>;
}

const wheel = buildZip(
  { name: 'own.py', content: 'answer = 42\n' },
  {
    name: 'own-1.0.dist-info/METADATA',
    content: 'Metadata-Version: 2.1\nName: own\nVersion: 1.0\n',
  },
  {
    name: 'own-1.0.dist-info/WHEEL',
    content: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
  },
  {
    name: 'own-1.0.dist-info/RECORD',
    content:
      'own.py,,\nown-1.0.dist-info/METADATA,,\nown-1.0.dist-info/WHEEL,,\nown-1.0.dist-info/RECORD,,\n',
  },
);
const WHEEL = 'own-1.0-py3-none-any.whl';

const tarball = gzipSync(
  buildTar(
    { path: 'package/package.json', content: '{"name":"own","version":"1.0.0","main":"index.js"}' },
    { path: 'package/index.js', content: 'module.exports = 42;\n' },
  ),
);
const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;

/** @param specifier How package.json names the package. */
function toNodeFiles(specifier: string, resolved: string): Readonly<Record<string, string>> {
  const app = { name: 'app', version: '1.0.0' };
  const dependencies = { own: specifier };
  const packages = {
    '': { ...app, dependencies },
    'node_modules/own': { version: '1.0.0', resolved, integrity },
  };
  return {
    'package.json': JSON.stringify({ ...app, dependencies }),
    'package-lock.json': JSON.stringify({ ...app, lockfileVersion: 3, requires: true, packages }),
    'main.js': 'console.log(require("own"));\n',
  };
}

const goMain =
  'package main\n\nimport (\n\t"example.com/own"\n\t"fmt"\n)\n\nfunc main() { fmt.Println(own.Answer) }\n';
const goOwn = 'package own\n\nconst Answer = 42\n';
const goMod = 'module example.com/app\n\ngo 1.24\n\nrequire example.com/own v1.0.0\n';
const goOwnMod = 'module example.com/own\n\ngo 1.24\n';
const GO_PREFIX = 'example.com/own@v1.0.0';

const PYTHON = { packages: 'python3 python3-pip' };
const NODE = { packages: 'nodejs' };
const GO = { overlay: 'stacks/go-1.24' };
const MAVEN = [
  ...['maven', 'libmaven-compiler-plugin-java', 'libmaven-jar-plugin-java'],
  // Plugins that every package runs, and what the compiler plugin's POM imports.
  ...['libmaven-resources-plugin-java', 'libsurefire-java', 'junit5'],
];
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>app</groupId>
  <artifactId>app</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.release>21</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>commons-cli</groupId>
      <artifactId>commons-cli</artifactId>
      <version>debian</version>
    </dependency>
  </dependencies>
</project>
`;
const javaMain = `import org.apache.commons.cli.Options;

public class Main {
  public static void main(String[] args) {
    System.out.println(new Options().getOptions().size() + 42);
  }
}
`;

const pip = (from: string) => `pip install ${from} --target lib -r requirements.txt`;
const npm = (more: string) => `node /opt/npm/bin/npm-cli.js ci --no-audit --no-fund ${more}`;

export const managedPrograms: readonly ManagedProgram[] = [
  {
    name: 'pip, from a vendored folder',
    stack: PYTHON,
    files: () => ({ 'requirements.txt': 'own==1.0\n', [`vendor/${WHEEL}`]: wheel }),
    build: () => pip('--no-index --find-links vendor'),
    from: ['requirements.txt', 'vendor'],
    run: 'PYTHONPATH=lib python3 -c "import own; print(own.answer)"',
  },
  {
    name: 'pip, from a mirror',
    stack: PYTHON,
    files: () => ({ 'requirements.txt': 'own==1.0\n' }),
    build: (origin) => pip(`--index-url ${origin}/simple/`),
    from: ['requirements.txt'],
    run: 'PYTHONPATH=lib python3 -c "import own; print(own.answer)"',
    mirror: {
      '/simple/own/': `<a href="/files/${WHEEL}">${WHEEL}</a>`,
      [`/files/${WHEEL}`]: wheel,
    },
  },
  {
    name: 'npm, from a vendored folder',
    stack: NODE,
    files: () => ({
      ...toNodeFiles('file:vendor/own-1.0.0.tgz', 'file:vendor/own-1.0.0.tgz'),
      'vendor/own-1.0.0.tgz': tarball,
    }),
    build: () => npm('--offline'),
    from: ['package.json', 'package-lock.json', 'vendor'],
    run: 'node main.js',
  },
  {
    name: 'npm, from a mirror',
    stack: NODE,
    files: (origin) => toNodeFiles('1.0.0', `${origin}/own/-/own-1.0.0.tgz`),
    build: (origin) => npm(`--registry ${origin}/`),
    from: ['package.json', 'package-lock.json'],
    run: 'node main.js',
    mirror: { '/own/-/own-1.0.0.tgz': tarball },
  },
  {
    name: 'bundler, from a vendored folder',
    stack: { packages: 'ruby bundler' },
    files: () => ({
      Gemfile: 'source "https://rubygems.org"\ngem "own", "1.0.0"\n',
      'own/own.gemspec':
        'Gem::Specification.new { |s| s.name = "own"; s.version = "1.0.0"; s.summary = "own"; s.authors = ["x"]; s.files = ["lib/own.rb"] }\n',
      'own/lib/own.rb': 'module Own; ANSWER = 42; end\n',
    }),
    build: () =>
      [
        'set -e; mkdir -p vendor/cache; (cd own && gem build own.gemspec -o ../vendor/cache/own-1.0.0.gem)',
        'bundle config set --local path bundle; bundle install --local',
      ].join('; '),
    from: ['Gemfile', 'own'],
    run: 'bundle exec ruby -e "require %q(own); puts Own::ANSWER"',
  },
  {
    name: 'composer, from a vendored folder',
    stack: { packages: 'php-cli composer' },
    files: () => ({
      'composer.json': JSON.stringify({
        repositories: [
          { type: 'path', url: 'packages/own', options: { symlink: false } },
          { 'packagist.org': false },
        ],
        require: { 'own/own': '1.0.0' },
      }),
      'packages/own/composer.json': JSON.stringify({
        name: 'own/own',
        version: '1.0.0',
        autoload: { files: ['own.php'] },
      }),
      'packages/own/own.php': '<?php const OWN_ANSWER = 42;\n',
    }),
    build: () => 'composer install --no-interaction --no-progress',
    from: ['composer.json', 'packages'],
    run: 'php -r "require %q; echo OWN_ANSWER, PHP_EOL;"'.replace('%q', "'vendor/autoload.php'"),
  },
  {
    name: 'go, from a vendored folder',
    stack: GO,
    files: () => ({
      'go.mod': goMod,
      'main.go': goMain,
      'vendor/example.com/own/own.go': goOwn,
      'vendor/modules.txt': '# example.com/own v1.0.0\n## explicit; go 1.24\nexample.com/own\n',
    }),
    build: () => 'go build -mod=vendor -o app .',
    run: './app',
  },
  {
    name: 'go, from a mirror',
    stack: GO,
    files: () => ({ 'go.mod': goMod, 'main.go': goMain }),
    build: (origin) => `GOPROXY=${origin} GONOSUMDB='*' GOFLAGS=-mod=mod go build -o app .`,
    run: './app',
    mirror: {
      '/example.com/own/@v/list': 'v1.0.0\n',
      '/example.com/own/@v/v1.0.0.info': '{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}',
      '/example.com/own/@v/v1.0.0.mod': goOwnMod,
      '/example.com/own/@v/v1.0.0.zip': buildZip(
        { name: `${GO_PREFIX}/go.mod`, content: goOwnMod },
        { name: `${GO_PREFIX}/own.go`, content: goOwn },
      ),
    },
  },
  {
    name: 'cargo, from a vendored folder',
    stack: { overlay: 'stacks/rust-1.85' },
    files: () => ({
      'Cargo.toml':
        '[package]\nname = "app"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\nown = "1.0.0"\n',
      'src/main.rs': 'fn main() { println!("{}", own::ANSWER); }\n',
      '.cargo/config.toml':
        '[source.crates-io]\nreplace-with = "vendored-sources"\n[source.vendored-sources]\ndirectory = "vendor"\n',
      'vendor/own/Cargo.toml': '[package]\nname = "own"\nversion = "1.0.0"\nedition = "2021"\n',
      'vendor/own/src/lib.rs': 'pub const ANSWER: u32 = 42;\n',
      'vendor/own/.cargo-checksum.json': '{"files":{}}',
    }),
    build: () => 'cargo build --offline --release',
    run: 'target/release/app',
  },
  {
    name: 'maven, from a repository in the stack',
    stack: { overlay: 'stacks/java-21', packages: MAVEN.join(' ') },
    files: () => ({ 'pom.xml': pom, 'src/main/java/Main.java': javaMain }),
    build: () => 'mvn -o -B -Dmaven.repo.local=/usr/share/maven-repo package',
    run: 'java -cp target/app-1.jar:/usr/share/java/commons-cli.jar Main',
  },
];
