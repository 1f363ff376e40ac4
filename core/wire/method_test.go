package wire

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Every method's line of testdata/methods.txt is a promise to programs in the
// field. New lines may be added; none may change.
func TestMethodsArePinned(t *testing.T) {
	var b strings.Builder
	for _, m := range Methods() {
		fmt.Fprintf(&b, "%#04x %s %s %s %d %v\n", m.ID, m.Name, m.Access, m.Rate, m.MaxPayload, m.Idempotent)
	}
	path := filepath.Join("testdata", "methods.txt")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the method table has changed; if that is meant, %s must become:\n%s", path, b.String())
	}
}

func TestMethodLookUp(t *testing.T) {
	m, ok := MethodOf(&qpcv1.PostRequest{})
	if !ok || m.ID != 0x0702 || m.Name != "qpc.v1.ChannelService.Post" || m.Access != qpcv1.Access_ACCESS_ANONYMOUS ||
		m.Rate != qpcv1.RateClass_RATE_CLASS_POST || m.MaxPayload != DefaultMaxPayload || !m.Idempotent {
		t.Errorf("Post: %+v", m)
	}
	if _, ok := m.Response.New().Interface().(*qpcv1.PostResponse); !ok {
		t.Error("Post has another response")
	}
	if byID, ok := MethodByID(0x0702); !ok || byID.Name != m.Name {
		t.Errorf("0x0702: %+v", byID)
	}
	if _, ok := MethodOf(&emptypb.Empty{}); ok {
		t.Error("Empty is a request")
	}
	if _, ok := MethodByID(0); ok {
		t.Error("0 is a method")
	}
}
