package config

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"
)

//go:embed config.toml.tmpl
var templateText string

var annotated = template.Must(template.New("config").Funcs(template.FuncMap{
	"quote": quote,
	"list": func(entries []string) string {
		quoted := make([]string, len(entries))
		for i, entry := range entries {
			quoted[i] = quote(entry)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	},
}).Parse(templateText))

// Write writes c as TOML in which every key is explained.
func (c *Config) Write(w io.Writer) error {
	return annotated.Execute(w, c)
}

// quote writes a TOML basic string.
func quote(v any) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range fmt.Sprint(v) {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
