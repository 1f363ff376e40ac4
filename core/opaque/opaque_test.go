package opaque

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cloudflare/circl/group"
	"pgregory.net/rapid"
)

var (
	testConfig   = Config{Context: []byte("test"), KSF: Argon2id(1, 8, 1)}
	testPassword = []byte("tulip ox ladder rain")
)

func testServer(t testing.TB) *Server {
	t.Helper()
	keys, err := GenerateServerKeys()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(testConfig, keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func register(t testing.TB, s *Server, password, credentialID []byte) (record, exportKey []byte) {
	t.Helper()
	reg, request, err := testConfig.StartRegistration(password)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.RegistrationResponse(request, credentialID)
	if err != nil {
		t.Fatal(err)
	}
	record, exportKey, err = reg.Finish(response, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return record, exportKey
}

func startLogin(t testing.TB, password []byte) (*ClientLogin, []byte) {
	t.Helper()
	l, ke1, err := testConfig.StartLogin(password)
	if err != nil {
		t.Fatal(err)
	}
	return l, ke1
}

func TestRegisterAndLogin(t *testing.T) {
	s := testServer(t)
	rapid.Check(t, func(rt *rapid.T) {
		password := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(rt, "password")
		id := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "id")
		record, exportKey := register(t, s, password, id)
		if len(record) != RecordSize || len(exportKey) != ExportKeySize {
			rt.Fatalf("record of %d bytes, export key of %d", len(record), len(exportKey))
		}
		client, ke1 := startLogin(t, password)
		server, ke2, err := s.StartLogin(ke1, id, record, nil, nil)
		if err != nil {
			rt.Fatal(err)
		}
		ke3, sessionKey, exportKeyAgain, err := client.Finish(ke2, nil, nil)
		if err != nil {
			rt.Fatal(err)
		}
		serverKey, err := server.Finish(ke3)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(sessionKey, serverKey) || !bytes.Equal(exportKey, exportKeyAgain) || bytes.Equal(sessionKey, exportKey) {
			rt.Fatal("keys do not agree")
		}
		if len(ke1) != KE1Size || len(ke2) != KE2Size || len(ke3) != KE3Size || len(sessionKey) != SessionKeySize {
			rt.Fatalf("lengths %d %d %d %d", len(ke1), len(ke2), len(ke3), len(sessionKey))
		}
	})
}

func TestSizes(t *testing.T) {
	got := [...]int{RequestSize, ResponseSize, RecordSize, KE1Size, KE2Size, KE3Size, ExportKeySize, SessionKeySize, ServerKeysSize}
	if want := [...]int{32, 64, 192, 96, 320, 64, 64, 64, 96}; got != want {
		t.Errorf("sizes %v, want %v", got, want)
	}
}

func TestSessionsDiffer(t *testing.T) {
	s := testServer(t)
	record, _ := register(t, s, testPassword, []byte("id"))
	var before []byte
	for range 3 {
		client, ke1 := startLogin(t, testPassword)
		_, ke2, err := s.StartLogin(ke1, []byte("id"), record, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, sessionKey, _, err := client.Finish(ke2, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(before, sessionKey) {
			t.Fatal("two sessions with one key")
		}
		before = sessionKey
	}
}

// Whatever goes wrong with the password or the server, the client sees one
// error and gets no keys.
func TestClientErrorIsAlwaysTheSame(t *testing.T) {
	s, liar := testServer(t), testServer(t)
	id := []byte("id")
	record, _ := register(t, s, testPassword, id)
	otherRecord, _ := register(t, s, []byte("another password"), id)
	answer := func(s *Server, id, record, clientID, serverID []byte) func([]byte) []byte {
		return func(ke1 []byte) []byte {
			_, ke2, err := s.StartLogin(ke1, id, record, clientID, serverID)
			if err != nil {
				t.Fatal(err)
			}
			return ke2
		}
	}
	change := func(at int) func([]byte) []byte {
		return func(ke1 []byte) []byte {
			ke2 := answer(s, id, record, nil, nil)(ke1)
			ke2[at] ^= 1
			return ke2
		}
	}
	replay := answer(s, id, record, nil, nil)(func() []byte { _, ke1 := startLogin(t, testPassword); return ke1 }())
	otherContext, err := NewServer(Config{Context: []byte("another")}, ServerKeys{PrivateKey: privateKeyOf(t, s), OPRFSeed: [64]byte(s.seed)})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(ke1 []byte) []byte{
		"wrong password":        answer(s, id, otherRecord, nil, nil),
		"unknown user":          answer(s, []byte("nobody"), nil, nil, nil),
		"known id, no record":   answer(s, id, nil, nil, nil),
		"other credential id":   answer(s, []byte("other"), record, nil, nil),
		"server without keys":   answer(liar, id, record, nil, nil),
		"other client identity": answer(s, id, record, []byte("mallory"), nil),
		"other server identity": answer(s, id, record, nil, []byte("mallory")),
		"other context":         answer(otherContext, id, record, nil, nil),
		"replayed KE2":          func([]byte) []byte { return replay },
		"zeros":                 func([]byte) []byte { return make([]byte, KE2Size) },
		"ones":                  func([]byte) []byte { return bytes.Repeat([]byte{0xff}, KE2Size) },
	}
	for at := 0; at < KE2Size; at += 13 {
		cases[fmt.Sprintf("byte %d changed", at)] = change(at)
	}
	for what, ke2 := range cases {
		client, ke1 := startLogin(t, testPassword)
		ke3, sessionKey, exportKey, err := client.Finish(ke2(ke1), nil, nil)
		if err != ErrAuthentication { //nolint:errorlint // not even the text may differ
			t.Errorf("%s: %v", what, err)
		}
		if ke3 != nil || sessionKey != nil || exportKey != nil {
			t.Errorf("%s: keys in spite of the error", what)
		}
	}
}

func privateKeyOf(t *testing.T, s *Server) [32]byte {
	t.Helper()
	b, err := s.keys.private.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(b)
}

func TestServerRefusesWrongKE3(t *testing.T) {
	s := testServer(t)
	id := []byte("id")
	record, _ := register(t, s, testPassword, id)
	for what, finish := range map[string]func(ke3 []byte) []byte{
		"zeros":    func([]byte) []byte { return make([]byte, KE3Size) },
		"changed":  func(ke3 []byte) []byte { ke3[63] ^= 0x80; return ke3 },
		"reversed": func(ke3 []byte) []byte { ke3[0], ke3[1] = ke3[1]+1, ke3[0]+1; return ke3 },
	} {
		client, ke1 := startLogin(t, testPassword)
		server, ke2, err := s.StartLogin(ke1, id, record, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		ke3, _, _, err := client.Finish(ke2, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		good := bytes.Clone(ke3)
		if key, err := server.Finish(finish(ke3)); !errors.Is(err, ErrAuthentication) || key != nil {
			t.Errorf("%s: %v", what, err)
		}
		// A second guess in the same exchange is not to be had.
		if key, err := server.Finish(good); !errors.Is(err, ErrSpent) || key != nil {
			t.Errorf("%s, then right: %v", what, err)
		}
	}
}

func TestAnExchangeIsGoodForOneFinish(t *testing.T) {
	s := testServer(t)
	reg, request, err := testConfig.StartRegistration(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.RegistrationResponse(request, nil)
	if err != nil {
		t.Fatal(err)
	}
	blinded := reg.blinded
	record, _, err := reg.Finish(response, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !blinded.blind.IsZero() || !bytes.Equal(blinded.password, make([]byte, len(testPassword))) {
		t.Error("the blind and the password are not wiped")
	}
	if _, _, err := reg.Finish(response, nil, nil); !errors.Is(err, ErrSpent) {
		t.Errorf("registration: %v", err)
	}
	client, ke1 := startLogin(t, testPassword)
	_, ke2, err := s.StartLogin(ke1, nil, record, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := client.Finish(ke2[1:], nil, nil); err == nil {
		t.Fatal("a short KE2 is accepted")
	}
	if _, _, _, err := client.Finish(ke2, nil, nil); !errors.Is(err, ErrSpent) {
		t.Errorf("login: %v", err)
	}
	if !client.keyshare.private.IsZero() {
		t.Error("the key share is not wiped")
	}
}

func TestIdentitiesMustMatch(t *testing.T) {
	s := testServer(t)
	alice, server := []byte("alice"), []byte("example.org")
	reg, request, _ := testConfig.StartRegistration(testPassword)
	response, _ := s.RegistrationResponse(request, []byte("id"))
	record, _, err := reg.Finish(response, alice, server)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		clientID, serverID []byte
		want               error
	}{
		{alice, server, nil},
		{alice, nil, ErrAuthentication},
		{nil, server, ErrAuthentication},
		{server, alice, ErrAuthentication},
		{[]byte("bob"), server, ErrAuthentication},
	} {
		client, ke1 := startLogin(t, testPassword)
		_, ke2, err := s.StartLogin(ke1, []byte("id"), record, alice, server)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := client.Finish(ke2, c.clientID, c.serverID); !errors.Is(err, c.want) {
			t.Errorf("%q at %q: %v", c.clientID, c.serverID, err)
		}
	}
}

func TestLengthErrors(t *testing.T) {
	s := testServer(t)
	id := []byte("id")
	record, _ := register(t, s, testPassword, id)
	_, goodKE1 := startLogin(t, testPassword)
	long := make([]byte, maxVector+1)
	check := func(what string, n int, err error) {
		t.Helper()
		var l *LengthError
		if !errors.As(err, &l) {
			t.Errorf("%s of %d bytes: %v", what, n, err)
		} else if l.Got != n {
			t.Errorf("%s of %d bytes: error says %d", what, n, l.Got)
		}
	}
	for _, delta := range []int{-1, 1, -1000, 1000} {
		sized := func(n int) []byte { return make([]byte, max(0, n+delta)) }
		request := sized(RequestSize)
		_, err := s.RegistrationResponse(request, id)
		check("request", len(request), err)
		rec := sized(RecordSize)
		check("record", len(rec), ValidateRecord(rec))
		_, _, err = s.StartLogin(goodKE1, id, rec, nil, nil)
		check("stored record", len(rec), err)
		ke1 := sized(KE1Size)
		_, _, err = s.StartLogin(ke1, id, record, nil, nil)
		check("KE1", len(ke1), err)
		ke3 := sized(KE3Size)
		server, _, err := s.StartLogin(goodKE1, id, record, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = server.Finish(ke3)
		check("KE3", len(ke3), err)
		response := sized(ResponseSize)
		reg, _, err := testConfig.StartRegistration(testPassword)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = reg.Finish(response, nil, nil)
		check("response", len(response), err)
		client, _ := startLogin(t, testPassword)
		ke2 := sized(KE2Size)
		_, _, _, err = client.Finish(ke2, nil, nil)
		check("KE2", len(ke2), err)
		keys := sized(ServerKeysSize)
		check("server keys", len(keys), new(ServerKeys).UnmarshalBinary(keys))
	}
	_, _, err := testConfig.StartRegistration(long)
	check("password", len(long), err)
	_, _, err = testConfig.StartLogin(long)
	check("password", len(long), err)
	_, _, err = Config{Context: long, KSF: testConfig.KSF}.StartLogin(testPassword)
	check("context", len(long), err)
	_, err = NewServer(Config{Context: long}, ServerKeys{})
	check("context", len(long), err)
	_, _, err = s.StartLogin(goodKE1, id, record, long, nil)
	check("client identity", len(long), err)
	_, _, err = s.StartLogin(goodKE1, id, record, nil, long)
	check("server identity", len(long), err)
	if _, _, err := (Config{}).StartLogin(testPassword); !errors.Is(err, ErrNoKSF) {
		t.Errorf("without a KSF: %v", err)
	}
}

// badElements encode the identity, or nothing (RFC 9496 appendix A.2).
func badElements() map[string][]byte {
	notCanonical := bytes.Repeat([]byte{0xff}, 32)
	notCanonical[0], notCanonical[31] = 0xed, 0x7f // the field's order
	oneMore := bytes.Clone(notCanonical)
	oneMore[0] = 0xee // 1 above it
	negative := encodeElement(group.Ristretto255.Generator())
	negative[0] |= 1
	return map[string][]byte{
		"identity":             make([]byte, 32),
		"order of the field":   notCanonical,
		"order of the field+1": oneMore,
		"all ones":             bytes.Repeat([]byte{0xff}, 32),
		"negative":             negative,
		"no square":            append([]byte{0x26}, bytes.Repeat([]byte{0x94}, 31)...),
	}
}

func TestBadElementsAreRefused(t *testing.T) {
	s := testServer(t)
	id := []byte("id")
	record, _ := register(t, s, testPassword, id)
	_, ke1 := startLogin(t, testPassword)
	_, ke2, err := s.StartLogin(ke1, id, record, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func(message []byte, at int, element []byte) []byte {
		message = bytes.Clone(message)
		copy(message[at:], element)
		return message
	}
	for what, bad := range badElements() {
		if _, err := s.RegistrationResponse(bad, id); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s as request: %v", what, err)
		}
		if err := ValidateRecord(put(record, 0, bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s in the record: %v", what, err)
		}
		for _, at := range []int{0, KE1Size - 32} {
			if _, _, err := s.StartLogin(put(ke1, at, bad), id, record, nil, nil); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s at %d of KE1: %v", what, at, err)
			}
			if _, _, err := s.StartLogin(put(ke1, at, bad), id, nil, nil, nil); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s at %d of KE1, unknown user: %v", what, at, err)
			}
		}
		for _, at := range []int{0, ke2InnerSize - 32} {
			client, _ := startLogin(t, testPassword)
			if _, _, _, err := client.Finish(put(ke2, at, bad), nil, nil); !errors.Is(err, ErrAuthentication) {
				t.Errorf("%s at %d of KE2: %v", what, at, err)
			}
		}
		for _, at := range []int{0, 32} {
			reg, request, err := testConfig.StartRegistration(testPassword)
			if err != nil {
				t.Fatal(err)
			}
			response, err := s.RegistrationResponse(request, id)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := reg.Finish(put(response, at, bad), nil, nil); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s at %d of the response: %v", what, at, err)
			}
		}
	}
}

func TestServerKeys(t *testing.T) {
	keys, err := GenerateServerKeys()
	if err != nil {
		t.Fatal(err)
	}
	b, err := keys.MarshalBinary()
	if err != nil || len(b) != ServerKeysSize {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	var again ServerKeys
	if err := again.UnmarshalBinary(b); err != nil || again != keys {
		t.Fatalf("came back otherwise: %v", err)
	}
	zero := append(make([]byte, 32), b[32:]...)
	tooBig := append(bytes.Repeat([]byte{0xff}, 32), b[32:]...)
	for what, bad := range map[string][]byte{"zero": zero, "too big": tooBig} {
		if err := again.UnmarshalBinary(bad); !errors.Is(err, ErrServerKeys) || again != keys {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := NewServer(testConfig, ServerKeys{PrivateKey: [32]byte(bad)}); !errors.Is(err, ErrServerKeys) {
			t.Errorf("NewServer, %s: %v", what, err)
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	s := testServer(t)
	keys := ServerKeys{PrivateKey: [32]byte{0: 0xab, 1: 0xcd}, OPRFSeed: [64]byte{0: 0xef}}
	login, _ := startLogin(t, testPassword)
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	for _, v := range []any{keys, &keys, s, login, &ServerLogin{}, &ClientRegistration{}} {
		start := out.Len()
		log.Info("x", "v", v)
		fmt.Fprintf(&out, "%v %+v %#v %x %s %d", v, v, v, v, v, v)
		if n := strings.Count(out.String()[start:], "[opaque secrets]"); n != 7 {
			t.Errorf("%T is shown: %s", v, out.String()[start:])
		}
	}
}
