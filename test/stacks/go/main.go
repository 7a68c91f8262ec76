// Uses Go's standard library, a part in C, TLS, time zones and the payload; prints one line of JSON.
package main

// static int twice(int number) { return 2 * number; }
import "C"

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func fetch(roots *x509.CertPool) (string, error) {
	connection, err := tls.Dial("tcp", "localhost:"+os.Getenv("TEST_PORT"), &tls.Config{RootCAs: roots})
	if err != nil {
		return "", err
	}
	defer connection.Close()
	must(io.WriteString(connection, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"))
	_, body, _ := strings.Cut(string(must(io.ReadAll(connection))), "\r\n\r\n")
	return body, nil
}

func main() {
	lines := strings.Split(string(must(os.ReadFile(os.Getenv("PAYLOAD_FILE")))), "\n")
	var numbers []int
	sum := 0
	for _, word := range strings.Fields(lines[1]) {
		numbers = append(numbers, must(strconv.Atoi(word)))
		sum += numbers[len(numbers)-1]
	}
	slices.Sort(numbers)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(os.Getenv("TEST_CA"))))
	_, refusal := fetch(nil)
	var unknown x509.UnknownAuthorityError
	there := must(time.LoadLocation("America/New_York"))
	err := json.NewEncoder(os.Stdout).Encode(map[string]any{
		"version": strings.TrimPrefix(runtime.Version(), "go"),
		"text":    lines[0],
		"length":  utf8.RuneCountInString(lines[0]),
		"sorted":  numbers,
		"sum":     sum,
		"native":  int(C.twice(21)),
		"tls":     must(fetch(roots)),
		"refused": errors.As(refusal, &unknown),
		"time":    time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC).In(there).Format("2006-01-02 15:04"),
	})
	if err != nil {
		panic(err)
	}
}
