# Imports every module of the standard library; Debian keeps a few in packages of their own.
import importlib, io, os, pkgutil, sys, sysconfig

APART = {'tkinter', 'turtle', 'turtledemo', 'idlelib', 'lib2to3', 'distutils', 'ensurepip'}
# Of other systems, or without an end of their own.
ELSEWHERE = {'antigravity', 'this', 'test', 'msilib', 'winreg', 'winsound', 'msvcrt', 'nt', 'asyncio.windows_events',
             'asyncio.windows_utils', 'encodings.mbcs', 'encodings.oem', 'multiprocessing.popen_spawn_win32',
             '_pyrepl.windows_console', '_ios_support', '_distutils_system_mod', 'idle_test', '__phello__', '__hello__',
             'dbm.gnu', 'dbm.ndbm'}
paths = [sysconfig.get_path('stdlib'), sysconfig.get_config_var('DESTSHARED')]
names = set(sys.builtin_module_names)
for path in filter(None, paths):
    names.update(module.name for module in pkgutil.iter_modules([path]))
failed = []
count = 0

def load(name):
    global count
    if name.split('.')[0] in APART or name in ELSEWHERE or name.endswith('__main__') or '.test' in name:
        return
    try:
        module = importlib.import_module(name)
        count += 1
    except BaseException as error:
        failed.append(f'{name}: {error!r}')
        return
    for inner in pkgutil.iter_modules(getattr(module, '__path__', [])):
        load(f'{name}.{inner.name}')

for name in sorted(names):
    if not name.startswith('_sysconfigdata') and not name.startswith('sitecustomize'):
        load(name)
print(count, 'modules')
sys.exit('\n'.join(failed) if failed or count < 300 else 0)
