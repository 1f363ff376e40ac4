package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

const envPrefix = "QPC_"

// ApplyEnv sets every key that has a QPC_* variable in environ, which is in
// the form of os.Environ. A list is written with commas. Variables that name
// no key are left alone: other programs of the family have theirs.
func (c *Config) ApplyEnv(environ []string) error {
	values := make(map[string]string)
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, envPrefix) {
			values[name] = value
		}
	}
	for _, key := range keysOf(reflect.ValueOf(c).Elem(), "") {
		text, ok := values[key.env()]
		if !ok {
			continue
		}
		if err := setText(key.value, text); err != nil {
			return fmt.Errorf("%s: %w", key.env(), err)
		}
	}
	return nil
}

// Keys lists the path of every key, such as "rates.post.burst".
func Keys() []string {
	var paths []string
	for _, key := range keysOf(reflect.ValueOf(&Config{}).Elem(), "") {
		paths = append(paths, key.path)
	}
	return paths
}

type key struct {
	path  string
	value reflect.Value
}

func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

func keysOf(v reflect.Value, prefix string) []key {
	var keys []key
	for i := range v.NumField() {
		path := prefix + v.Type().Field(i).Tag.Get("toml")
		if field := v.Field(i); field.Kind() == reflect.Struct {
			keys = slices.Concat(keys, keysOf(field, path+"."))
		} else {
			keys = append(keys, key{path, field})
		}
	}
	return keys
}

func setText(v reflect.Value, text string) error {
	switch target := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return target.UnmarshalText([]byte(text))
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 720h or 90m", text)
		}
		*target = d
		return nil
	case *[]string:
		*target = splitList(text)
		return nil
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(on)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(n)
	default:
		return fmt.Errorf("settings of type %s cannot be set from the environment", v.Type())
	}
	return nil
}

func splitList(text string) []string {
	list := []string{}
	for entry := range strings.SplitSeq(text, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			list = append(list, entry)
		}
	}
	return list
}
