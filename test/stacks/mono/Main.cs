// Uses the .NET Framework's library on Mono, a function in C, TLS, time zones and the payload; prints one line of JSON.
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;

static class Program {
  [DllImport("libc")]
  static extern int abs(int number);

  static string Fetch() {
    using (var client = new WebClient()) return client.DownloadString(Environment.GetEnvironmentVariable("TEST_URL"));
  }

  static bool IsRefused() {
    try { Fetch(); return false; }
    catch (WebException error) {
      for (Exception cause = error; cause != null; cause = cause.InnerException)
        if (cause.Message.Contains("CERTIFICATE_VERIFY_FAILED")) return true;
      throw;
    }
  }

  static void TrustGivenAuthority() {
    var authority = new X509Certificate2(Environment.GetEnvironmentVariable("TEST_CA"));
    ServicePointManager.ServerCertificateValidationCallback = (sender, certificate, chain, problems) =>
      chain.ChainElements.Cast<X509ChainElement>().Any(one => one.Certificate.Thumbprint == authority.Thumbprint);
  }

  static void Main() {
    var lines = File.ReadAllLines(Environment.GetEnvironmentVariable("PAYLOAD_FILE"));
    var numbers = lines[1].Split(' ').Select(int.Parse).OrderBy(number => number).ToList();
    var there = TimeZoneInfo.FindSystemTimeZoneById("America/New_York");
    var time = TimeZoneInfo.ConvertTimeFromUtc(new DateTime(2024, 7, 1, 12, 0, 0, DateTimeKind.Utc), there);
    var runtime = Type.GetType("Mono.Runtime").GetMethod("GetDisplayName",
      System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Static);
    var version = ((string) runtime.Invoke(null, null)).Split(' ')[0];
    var refused = IsRefused();
    TrustGivenAuthority();
    var json = string.Format(
      "{{\"version\":\"{0}\",\"text\":\"{1}\",\"length\":{2},\"sorted\":[{3}],\"sum\":{4},\"native\":{5},\"tls\":\"{6}\",\"refused\":{7},\"time\":\"{8}\"}}",
      version, lines[0], new StringInfo(lines[0]).LengthInTextElements, string.Join(",", numbers), numbers.Sum(), abs(-42),
      Fetch(), refused ? "true" : "false", time.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture));
    var output = Console.OpenStandardOutput();
    var bytes = Encoding.UTF8.GetBytes(json + "\n");
    output.Write(bytes, 0, bytes.Length);
  }
}
