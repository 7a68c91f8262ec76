% Uses SWI-Prolog's library, its part in C (GMP, SSL), TLS, locale, time zones and the payload; prints one line of JSON.
:- use_module(library(http/http_open)).
:- use_module(library(http/json)).
:- use_module(library(readutil)).
:- use_module(library(ssl)).

fetch(Options, Body) :-
    getenv('TEST_URL', Url),
    setup_call_cleanup(http_open(Url, Stream, [timeout(10)|Options]), read_string(Stream, _, Body), close(Stream)).

refused(true) :-
    catch((fetch([cacerts([file('/etc/ssl/certs/ca-certificates.crt')])], _), fail), error(ssl_error(_, _, _, _), _), true), !.
refused(false).

main :-
    getenv('PAYLOAD_FILE', Path),
    read_file_to_string(Path, Payload, [encoding(utf8)]),
    split_string(Payload, "\n", "", [Text, Line|_]),
    split_string(Line, " ", "", Words),
    maplist([Word, Number]>>number_string(Number, Word), Words, Numbers),
    msort(Numbers, Sorted),
    sum_list(Numbers, Sum),
    string_length(Text, Length),
    Native is powm(2, 2 ** 70, 43) * 0 + (2 ** 200 mod (2 ** 199 - 1)) + 40,
    getenv('TEST_CA', Ca),
    fetch([cacerts([file(Ca)])], Tls),
    refused(Refused),
    setenv('TZ', 'America/New_York'),
    stamp_date_time(1719835200, Date, local),
    format_time(string(Time), '%Y-%m-%d %H:%M', Date),
    current_prolog_flag(version_data, swi(Major, Minor, Patch, _)),
    format(string(Version), "~w.~w.~w", [Major, Minor, Patch]),
    set_stream(user_output, encoding(utf8)),
    json_write_dict(current_output, _{version: Version, text: Text, length: Length, sorted: Sorted, sum: Sum,
        native: Native, tls: Tls, refused: Refused, time: Time}, [width(0)]),
    nl.
