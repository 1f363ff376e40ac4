package app

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	qpcv1 "quicprochat/proto/qpc/v1"
)

var update = flag.Bool("update", false, "write the generated parts of the documents")

// TestDocumentationMethodTable keeps the method table of docs/wire.md equal to
// the descriptors.
func TestDocumentationMethodTable(t *testing.T) {
	const file, begin, end = "../docs/wire.md", "<!-- methods -->\n", "<!-- /methods -->"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), begin)
	table, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost its markers", file)
	}
	want := methodTable()
	if table == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the .proto files say; run: go test ./app -run Documentation -update", file)
	}
	if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentationDependencies wants a reason for each direct dependency.
func TestDocumentationDependencies(t *testing.T) {
	document, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	direct := strings.Fields(string(out))
	if len(direct) == 0 {
		t.Fatal("go list named no dependency")
	}
	for _, module := range direct {
		if !strings.Contains(string(document), module) {
			t.Errorf("%s is not in docs/dependencies.md: say what it is for, and why this one", module)
		}
	}
}

func methodTable() string {
	type row struct {
		id   uint32
		line string
	}
	var rows []row
	protoregistry.GlobalFiles.RangeFilesByPackage("qpc.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				id, line := methodRow(m)
				rows = append(rows, row{id, line})
			}
		}
		return true
	})
	slices.SortFunc(rows, func(a, b row) int { return int(a.id) - int(b.id) })
	var b strings.Builder
	b.WriteString("| id | method | connection | rate class | largest request | idempotent |\n|---|---|---|---|--:|---|\n")
	for _, r := range rows {
		b.WriteString(r.line)
	}
	return b.String()
}

func methodRow(m protoreflect.MethodDescriptor) (id uint32, line string) {
	o := m.Options()
	id = proto.GetExtension(o, qpcv1.E_Id).(uint32)
	access := proto.GetExtension(o, qpcv1.E_Access).(qpcv1.Access)
	rate := proto.GetExtension(o, qpcv1.E_RateClass).(qpcv1.RateClass)
	size := proto.GetExtension(o, qpcv1.E_MaxPayload).(uint32)
	if size == 0 {
		size = 1 << 20
	}
	idempotent := ""
	if proto.GetExtension(o, qpcv1.E_Idempotent).(bool) {
		idempotent = "yes"
	}
	return id, fmt.Sprintf("| 0x%04x | %s.%s | %s | %s | %s | %s |\n", id,
		strings.TrimSuffix(string(m.Parent().Name()), "Service"), m.Name(),
		enumWord(access, "ACCESS_"), enumWord(rate, "RATE_CLASS_"), byteSize(size), idempotent)
}

func enumWord(e fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(e.String(), prefix))
}

func byteSize(n uint32) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d B", n)
	}
}
