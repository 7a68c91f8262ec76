// Loads every assembly of the class library, and each public type of those that programs use.
using System;
using System.IO;
using System.Linq;
using System.Reflection;

class Library {
  static readonly string[] Used = { "System", "System.Core", "System.Data", "System.Drawing", "System.IO.Compression", "System.Json",
    "System.Net.Http", "System.Numerics", "System.Runtime.Serialization", "System.ServiceModel", "System.Web", "System.Web.Extensions",
    "System.Web.Services", "System.Xml", "System.Xml.Linq", "Microsoft.CSharp", "Mono.Posix", "Mono.Security" };

  static int Main() {
    var folder = Path.GetDirectoryName(typeof(object).Assembly.Location);
    var missing = Used.Where(name => !File.Exists(Path.Combine(folder, name + ".dll"))).ToList();
    var failed = missing.Select(name => name + ": missing").ToList();
    var count = 0;
    foreach (var file in Directory.GetFiles(folder, "*.dll")) {
      try {
        var assembly = Assembly.LoadFrom(file);
        if (Used.Contains(assembly.GetName().Name)) count += assembly.GetExportedTypes().Length;
      } catch (Exception error) {
        failed.Add(Path.GetFileName(file) + ": " + error.Message);
      }
    }
    Console.WriteLine(count + " types");
    failed.ForEach(Console.Error.WriteLine);
    return failed.Count == 0 && count > 3000 ? 0 : 1;
  }
}
