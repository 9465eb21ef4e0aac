# What jq 1.6 has and the interpreter's own library has not, or has otherwise.

def leaf_paths: paths(scalars);
def recurse_down: recurse;
def input: [limit(1; inputs)] | if . == [] then error("No more inputs") else .[0] end;

def IN(values): . as $value | any(values; . == $value);
def IN(source; values): any(source; IN(values));
def INDEX(rows; key): reduce rows as $row ({}; .[$row | key | tostring] = $row);
def INDEX(key): INDEX(.[]; key);

def ltrimstr($start):
  if type == "string" and ($start | type) == "string" and startswith($start) then .[($start | length):] else . end;
def rtrimstr($end):
  if type == "string" and ($end | type) == "string" and endswith($end) then .[:length - ($end | length)] else . end;

# Whether there is something at a path to take out.
def there($path):
  (try getpath($path[:-1]) catch null) as $parent
  | $path[-1] as $last
  | ($parent | type) as $type
  | if $type == "object" and ($last | type) == "string" then $parent | has($last)
    elif $type == "array" and ($last | type) == "number" then
      ($parent | length) as $length | $last >= -$length and $last < $length
    else $type == "array" end;
def delpaths($paths):
  reduce ($paths | sort | reverse[]) as $path (.;
    if $path == [] then null elif there($path) then getpath($path) |= empty else . end);
def del(paths): delpaths([path(paths)]);

def tostream:
  def events($path):
    if (type == "object" or type == "array") and length > 0 then
      keys_unsorted as $keys
      | ($keys[] as $key | .[$key] | events($path + [$key])), [$path + [$keys[-1]]]
    else [$path, .] end;
  events([]);

def @csv:
  [.[] | if type == "string" then "\"" + gsub("\""; "\"\"") + "\""
         elif . == null then ""
         elif type == "number" or type == "boolean" then plain
         else error("\(type) is not valid in a csv row") end] | join(",");
def @tsv:
  [.[] | if type == "string" then
           gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
         elif . == null then ""
         elif type == "number" or type == "boolean" then plain
         else error("\(type) is not valid in a tsv row") end] | join("\t");

# Numbers in texts look as they do by themselves.
def tojson: json;
def tostring: plain;
def @text: plain;
def @json: json;
def join($between): reduce (.[] | if . == null then "" else plain end) as $part (null;
  (if . == null then "" else . + $between end) + $part) // "";
