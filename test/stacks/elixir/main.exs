# Uses Elixir's and Erlang's standard libraries, OTP's crypto in C, TLS, locale, time zones and the payload; prints one line of JSON.
{:ok, _} = Application.ensure_all_started([:inets, :ssl, :crypto])
[text, line | _] = System.fetch_env!("PAYLOAD_FILE") |> File.read!() |> String.split("\n")
numbers = line |> String.split() |> Enum.map(&String.to_integer/1)
url = System.fetch_env!("TEST_URL") |> String.to_charlist()

fetch = fn ssl ->
  options = [ssl: [verify: :verify_peer] ++ ssl, timeout: 10_000, autoredirect: false]
  :httpc.request(:get, {url, [{~c"connection", ~c"close"}]}, options, body_format: :binary)
end

{:ok, {_, _, tls}} = fetch.(cacertfile: System.fetch_env!("TEST_CA"))
:logger.set_primary_config(:level, :none)
refused = match?({:error, {:failed_connect, _}}, fetch.(cacerts: :public_key.cacerts_get()))
<<_, _::binary-size(31)>> = digest = :crypto.hash(:sha256, "")
{time, 0} = System.cmd("date", ["-d", "@1719835200", "+%Y-%m-%d %H:%M"], env: [{"TZ", "America/New_York"}])

IO.puts(
  JSON.encode!(%{
    version: System.version(),
    text: text,
    length: String.length(text),
    sorted: Enum.sort(numbers),
    sum: Enum.sum(numbers),
    native: byte_size(digest) + 10,
    tls: tls,
    refused: refused,
    time: String.trim(time)
  })
)
