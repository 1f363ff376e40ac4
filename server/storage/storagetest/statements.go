package storagetest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// CheckCovered fails where the package in the current folder has a statement
// in its code that is not among those that were run, so that a new one cannot
// escape the question how it is carried out. Statements are literals that
// begin with a verb of SQL; what is joined to one or formatted into it counts
// as anything. excused are beginnings of statements that need not have run,
// with the reason.
func CheckCovered(t *testing.T, ran map[string]struct{}, excused map[string]string) {
	t.Helper()
	written := writtenStatements(t)
	if len(written) < 40 {
		t.Errorf("only %d statements in the code", len(written))
	}
	used := make(map[string]bool)
	for pattern, place := range written {
		re := regexp.MustCompile(`(?s)^\s*` + pattern + `\s*$`)
		covered := false
		for statement := range ran {
			if covered = re.MatchString(statement); covered {
				break
			}
		}
		for prefix := range excused {
			if strings.HasPrefix(pattern, regexp.QuoteMeta(prefix)) {
				covered, used[prefix] = true, true
			}
		}
		if !covered {
			t.Errorf("%s: the suite does not run this statement, so nobody knows its plan: %s", place, pattern)
		}
	}
	for prefix := range excused {
		if !used[prefix] {
			t.Errorf("no statement needs the excuse for %q any more", prefix)
		}
	}
}

var verb = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|REPLACE)\s`)

// writtenStatements gives patterns of the statements in the code, with where
// they are.
func writtenStatements(t *testing.T) map[string]string {
	t.Helper()
	files := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	written := make(map[string]string)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			rest := ``
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
				n, rest = spec.Values[0], `.*` // the beginning of several statements
			}
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			pattern, text := statementPattern(e)
			if text && verb.MatchString(strings.ReplaceAll(pattern, `\`, ``)) {
				written[pattern+rest] = files.Position(n.Pos()).String()
				return false
			}
			return true
		})
	}
	return written
}

var format = regexp.MustCompile(`%[a-z]`)

// statementPattern turns a literal, or literals joined to something, into a
// regular expression; text tells that the first part is a literal.
func statementPattern(e ast.Expr) (pattern string, text bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return `.*`, false
		}
		s, err := strconv.Unquote(e.Value)
		if err != nil {
			return `.*`, false
		}
		return format.ReplaceAllString(regexp.QuoteMeta(strings.TrimSpace(s)), `.*`), true
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return `.*`, false
		}
		left, text := statementPattern(e.X)
		right, _ := statementPattern(e.Y)
		return left + `\s*` + right, text
	case *ast.ParenExpr:
		return statementPattern(e.X)
	}
	return `.*`, false
}
