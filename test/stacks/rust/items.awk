# From the compiler's listing of a crate: each public module as `path::*`, and the public items in it; what lies within a type or trait is left out.
NF < 2 && !/}/ { next }
{ public = $1 == "Public" && !hidden; name = NF > 1 ? $(NF - 1) : "" }
public && $2 ~ /^(Fn|Struct|Enum|Union|Trait|TyAlias|Const|Static)$/ { print path[depth] "::" name }
/{$/ && (hidden || !public || $2 != "Mod") { hidden++; next }
/{$/ { path[depth + 1] = depth ? path[depth] "::" name : crate; print path[++depth] "::*" }
/^ *}$/ { if (hidden) hidden--; else depth-- }
