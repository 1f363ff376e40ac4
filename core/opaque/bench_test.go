package opaque

import "testing"

// benchConfig leaves stretching out: BenchmarkKSF measures it.
var benchConfig = Config{Context: []byte("bench"), KSF: func(in []byte) []byte { return append([]byte(nil), in...) }}

func BenchmarkKSF(b *testing.B) {
	ksf := DefaultConfig().KSF
	in := make([]byte, hashSize)
	for b.Loop() {
		ksf(in)
	}
}

func BenchmarkRegister(b *testing.B) {
	s := testServer(b)
	for b.Loop() {
		reg, request, _ := benchConfig.StartRegistration(testPassword)
		response, err := s.RegistrationResponse(request, []byte("id"))
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := reg.Finish(response, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkServerRegister(b *testing.B) {
	s := testServer(b)
	_, request, _ := benchConfig.StartRegistration(testPassword)
	for b.Loop() {
		if _, err := s.RegistrationResponse(request, []byte("id")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLogin is both sides of a login, on a server with the same context.
func BenchmarkLogin(b *testing.B) {
	keys, _ := GenerateServerKeys()
	s, err := NewServer(benchConfig, keys)
	if err != nil {
		b.Fatal(err)
	}
	reg, request, _ := benchConfig.StartRegistration(testPassword)
	response, _ := s.RegistrationResponse(request, []byte("id"))
	record, _, err := reg.Finish(response, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		client, ke1, _ := benchConfig.StartLogin(testPassword)
		server, ke2, err := s.StartLogin(ke1, []byte("id"), record, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		ke3, _, _, err := client.Finish(ke2, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := server.Finish(ke3); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkServerLogin shows that a user and nobody cost the same.
func BenchmarkServerLogin(b *testing.B) {
	s := testServer(b)
	record, _ := register(b, s, testPassword, []byte("id"))
	_, ke1 := startLogin(b, testPassword)
	for _, c := range []struct {
		name   string
		record []byte
	}{{"user", record}, {"nobody", nil}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.StartLogin(ke1, []byte("id"), c.record, nil, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
