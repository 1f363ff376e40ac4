// Command mlsstdio lets another implementation of MLS be driven against core/mls:
// it reads requests as lines of JSON from its standard input and answers each by
// a line on its standard output. The protocol is in ../README.md.
//
// It is a test instrument. It trusts every credential, and it prints private keys
// and group secrets when asked.
package main

import (
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("mlsstdio: ")
	if err := serve(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
