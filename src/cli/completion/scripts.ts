/**
 * The scripts that teach a shell to complete command lines. Each asks `stackshim complete`. The answer's first line says what the shell
 * completes by itself (`none`, `files`, `folders`). Each further line is a word, a tab and what the word is. No blank follows a word that
 * ends in `=`, `:` or `/`.
 */

const BASH = `_stackshim() {
  local rest=\${COMP_LINE:0:COMP_POINT} words=() word= kind= index
  # Bash also splits words at some other characters, such as = and :. Only blanks end a word here.
  for ((index = 0; index < COMP_CWORD; index++)); do
    if [[ $rest == [[:blank:]]* ]]; then
      words+=("$word")
      word=
      rest=\${rest#"\${rest%%[![:blank:]]*}"}
    fi
    word+=\${COMP_WORDS[index]}
    rest=\${rest#"\${COMP_WORDS[index]}"}
  done
  if [[ $rest == [[:blank:]]* ]]; then
    words+=("$word")
    word=
    rest=\${rest#"\${rest%%[![:blank:]]*}"}
  fi
  word+=$rest
  COMPREPLY=()
  {
    read -r kind
    mapfile -t COMPREPLY
  } < <("\${1/#\\~/$HOME}" complete -- "\${words[@]:1}" "$word" 2>/dev/null)
  COMPREPLY=("\${COMPREPLY[@]%%$'\\t'*}")
  # Bash replaces only the part after the character at which it splits.
  COMPREPLY=("\${COMPREPLY[@]#"\${word%"$2"}"}")
  case $kind in
    files) compopt -o default ;;
    folders) compopt -o dirnames ;;
  esac
  [[ \${#COMPREPLY[@]} -eq 0 || \${COMPREPLY[0]} != *[=:/] ]] || compopt -o nospace
}
complete -F _stackshim stackshim
`;

const ZSH = `#compdef stackshim
_stackshim() {
  local -a lines ended open
  local line word
  lines=("\${(@f)$("\${(Q)words[1]}" complete -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  for line in "\${(@)lines[2,-1]}"; do
    word=\${line%%$'\\t'*}
    line="\${word//:/\\\\:}:\${line#*$'\\t'}"
    if [[ $word == *[=:/] ]]; then open+=("$line"); else ended+=("$line"); fi
  done
  ((\${#ended})) && _describe -V -t words word ended
  ((\${#open})) && _describe -V -t words word open -S ''
  [[ $PREFIX == --*=* ]] && compset -P '*='
  case $lines[1] in
    files) _files ;;
    folders) _files -/ ;;
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _stackshim "$@"
else
  compdef _stackshim stackshim
fi
`;

const FISH = `function __stackshim_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l lines ($program complete -- $words "$typed" 2>/dev/null)
    set -l kind $lines[1]
    set -e lines[1]
    printf '%s\\n' $lines
    set -l value (string replace -r '^--[^=]*=' '' -- "$typed")
    set -l before (string match -r '^--[^=]*=' -- "$typed")
    switch "$kind"
        case files
            for path in (__fish_complete_path "$value")
                printf '%s\\n' "$before$path"
            end
        case folders
            for path in (__fish_complete_directories "$value")
                printf '%s\\n' "$before$path"
            end
    end
end
complete -c stackshim -e
complete -c stackshim -f -k -a '(__stackshim_complete)'
`;

export const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const;

export type Shell = keyof typeof SCRIPTS;
