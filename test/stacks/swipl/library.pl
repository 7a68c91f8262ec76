% Loads every module file that SWI-Prolog brings, with its parts in C, and lets it check its own installation.
:- use_module(library(apply)).
:- use_module(library(check_installation)).
:- use_module(library(chr)).     % names the folder in which the parts of CHR find each other
:- use_module(library(filesex)).
:- use_module(library(pairs)).
:- dynamic problem/1.
:- multifile user:message_hook/3.

% These module files need xpce, which draws on a display.
apart('RDF/rdf_diagram.pl').
apart('ltx2htm/sty_xpce.pl').

% Debian keeps these in packages of their own, with Berkeley DB, Java, ODBC and X.
apart_package(library(bdb)).
apart_package(library(jpl)).
apart_package(library(odbc)).
apart_package(library(pce)).

note(Format, Arguments) :-
    format(string(Text), Format, Arguments),
    assertz(problem(Text)).

bad(error, _).
bad(warning, goal_failed(_, _)).
bad(warning, installation(jquery(not_found(_)))).

user:message_hook(Message, Kind, _) :-
    bad(Kind, Message),
    ( source_location(File, Line) -> true ; File = main, Line = 0 ),
    note("~w:~w: ~p", [File, Line, Message]),
    fail.

module_file(Folder, File) :-
    directory_member(Folder, File, [recursive(true), extensions([pl])]),
    \+ ( apart(Part), sub_atom(File, _, _, 0, Part) ),
    setup_call_cleanup(open(File, read, Stream), catch(read(Stream, Term), _, fail), close(Stream)),
    nonvar(Term),
    Term = (:- module(_, _)).

load(File) :-
    catch(use_module(File, []), Error, print_message(error, Error)).

main :-
    absolute_file_name(swi(library), Folder, [file_type(directory)]),
    findall(File, module_file(Folder, File), Files),
    maplist(load, Files),
    check_installation(Issues),
    forall(( member(Part-State, Issues), \+ apart_package(Part) ), note("~p: ~p", [Part, State])),
    length(Files, Count),
    format("~d modules~n", [Count]),
    forall(problem(Text), format(user_error, "~w~n", [Text])),
    ( Count > 300, \+ problem(_) -> halt(0) ; halt(1) ).
