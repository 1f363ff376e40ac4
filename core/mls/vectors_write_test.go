package mls

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var writeVectors = flag.Bool("write-vectors", false, "write the project's own vectors in testdata anew")

// ownVectors make the cases of a suite, by the names of the files.
var ownVectors = map[string]func(*testing.T, *suite) []any{
	"crypto-basics":      newCryptoBasics,
	"key-schedule":       newKeySchedule,
	"message-protection": newMessageProtection,
	"messages":           newMessages,
	"passive-client":     newPassiveClients,
	"psk_secret":         newPSKSecrets,
	"secret-tree":        newSecretTrees,
	"transcript-hashes":  newTranscriptHashes,
	"tree-operations":    newTreeOperations,
	"tree-validation":    newTreeValidation,
	"treekem":            newTreeKEM,
	"welcome":            newWelcomes,
}

func writeOwnVectors(t *testing.T) {
	for name, newCases := range ownVectors {
		var b bytes.Buffer
		for _, s := range suites {
			for _, v := range newCases(t, s) {
				if b.Len() > 0 {
					b.WriteString(",\n")
				}
				b.Write(must(json.Marshal(v)))
			}
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		file := "[\n" + b.String() + "\n]\n"
		if err := os.WriteFile(filepath.Join("testdata", name+".json"), []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// must is for making vectors, where no error is expected.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
