package client

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Every exported error has a sentence of its own.
func TestEveryErrorHasASentence(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Err") {
			declared++
		}
		return true
	})
	spoken := 0
	unknown := UserMessage(errors.New("something"))
	for _, m := range userMessages {
		if strings.HasPrefix(m.err.Error(), "client: ") {
			spoken++
		}
		got := UserMessage(fmt.Errorf("while trying: %w", m.err))
		if got == unknown || got == "" || !strings.HasSuffix(got, ".") {
			t.Errorf("%v: %q", m.err, got)
		}
	}
	if spoken != declared {
		t.Errorf("%d errors, %d sentences", declared, spoken)
	}
}

func TestServerErrorsBecomeOwnOnes(t *testing.T) {
	for code, want := range map[qpcv1.ErrorCode]error{
		qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN:   ErrNameTaken,
		qpcv1.ErrorCode_ERROR_CODE_LOGIN_FAILED: ErrWrongPassword,
	} {
		err := fromWire(wire.NewError(code, "…"))
		if !errors.Is(err, want) || wire.CodeOf(err) != code {
			t.Errorf("%v became %v", code, err)
		}
	}
	if got := UserMessage(&NameError{"bob", ErrUnknownUser}); !strings.HasPrefix(got, "bob: ") {
		t.Error(got)
	}
	if UserMessage(nil) != "" {
		t.Error("a message about nothing")
	}
}
