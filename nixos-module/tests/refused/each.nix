# A case for each of many values, named by its number.
name: values: make:
builtins.listToAttrs (
  builtins.genList (index: {
    name = "${name}-${toString (index + 1)}";
    value = make (builtins.elemAt values index);
  }) (builtins.length values)
)
