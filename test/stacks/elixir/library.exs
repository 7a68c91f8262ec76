# Loads every module of Elixir and of Erlang/OTP, looks for each function that one calls of another, and for what each application needs.
otp = ~w(asn1 compiler crypto diameter edoc eldap erts eunit ftp inets kernel mnesia odbc os_mon parsetools public_key
         runtime_tools sasl snmp ssh ssl stdlib syntax_tools tftp tools xmerl)a
elixir = ~w(eex elixir ex_unit iex logger mix)a

# Elixir calls these where they exist: modules of its first versions, a process of older Erlang, the package manager.
# EUnit calls a function of its own that must not exist.
apart = [:Dict, :HashDict, :HashSet, :user, Hex, :eunit_test]

lost =
  for name <- otp ++ elixir,
      {:error, reason} <- [Application.ensure_loaded(name)],
      do: "#{name}: #{inspect(reason)}"

wanting =
  for {name, _, _} <- Application.loaded_applications(),
      key <- [:applications, :included_applications],
      wanted <- Application.spec(name, key),
      wanted not in (Application.spec(name, :optional_applications) || []),
      {:error, _} <- [Application.ensure_loaded(wanted)],
      do: "#{name} needs #{wanted}"

modules = for {name, _, _} <- :code.all_available(), do: List.to_atom(name)
unloadable = for module <- modules, {:error, reason} <- [:code.ensure_loaded(module)], do: "#{module}: #{reason}"

uncallable =
  for module <- modules,
      file = :code.which(module),
      is_list(file),
      {:ok, {_, imports: imports}} <- [:beam_lib.chunks(file, [:imports])],
      {called, name, arity} <- imports,
      called not in apart,
      not function_exported?(called, name, arity),
      not :erlang.is_builtin(called, name, arity),
      do: "#{module} calls #{inspect(called)}.#{name}/#{arity}"

problems = lost ++ wanting ++ unloadable ++ uncallable
IO.puts("#{length(modules)} modules")
Enum.each(problems, &IO.puts(:stderr, &1))
if problems != [] or length(modules) < 1200, do: System.halt(1)
