package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a request. The Welcome to a group of ten thousand has some 20 MB in hex.
const maxLine = 64 << 20

// serve answers requests until the input ends.
func serve(in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, 64<<10)
	w := bufio.NewWriter(out)
	s := newSession()
	for {
		line, err := readLine(r)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLongLine):
			line = nil
		case err != nil:
			return fmt.Errorf("reading: %w", err)
		case len(bytes.TrimSpace(line)) == 0:
			continue
		}
		answer := s.answer(line)
		if err != nil {
			answer = refuse(nil, badRequest("%v", err))
		}
		if _, err := w.Write(append(answer, '\n')); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
}

var errLongLine = fmt.Errorf("line is longer than %d bytes", maxLine)

// readLine reads up to the next newline or the end of the input. Of a line that is
// too long it keeps nothing. A last line without a newline counts.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long, any := false, false
	for {
		part, err := r.ReadSlice('\n')
		any = any || len(part) > 0
		if !long && len(line)+len(part) > maxLine {
			line, long = nil, true
		}
		if !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && any:
		case err != nil:
			return nil, err
		}
		if long {
			return nil, errLongLine
		}
		return line, nil
	}
}

// envelope is what all requests have.
type envelope struct {
	ID  json.RawMessage `json:"id"`
	Cmd string          `json:"cmd"`
}

// response is an answer: one of Result and Error is set.
type response struct {
	ID     json.RawMessage `json:"id"`
	Result any             `json:"result,omitempty"`
	Error  *failure        `json:"error,omitempty"`
}

// answer executes a request and gives the line to answer with, without its newline.
func (s *session) answer(line []byte) []byte {
	var e envelope
	if err := json.Unmarshal(line, &e); err != nil {
		return refuse(nil, badRequest("not a JSON object of a request: %v", err))
	}
	if !scalar(e.ID) {
		return refuse(nil, badRequest("id is neither a number nor a string"))
	}
	result, err := s.execute(e.Cmd, line)
	if err != nil {
		return refuse(e.ID, err)
	}
	return encode(response{ID: e.ID, Result: result})
}

// scalar tells whether an id may be echoed: a number, a string, null or nothing.
func scalar(id json.RawMessage) bool {
	return len(id) == 0 || id[0] != '{' && id[0] != '['
}

// execute runs a command. That a panic in it ends up in an answer is for the
// driver to see and report; the tests demand that there is none.
func (s *session) execute(name string, line []byte) (result any, err error) {
	run, ok := commands[name]
	if !ok {
		return nil, &protocolError{"unknown-command", fmt.Sprintf("there is no command %.40q", name)}
	}
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, &protocolError{"internal", fmt.Sprint(p)}
		}
	}()
	return run(s, line)
}

func refuse(id json.RawMessage, err error) []byte {
	return encode(response{ID: id, Error: failureOf(err)})
}

func encode(r response) []byte {
	if len(r.ID) == 0 {
		r.ID = json.RawMessage("null")
	}
	b, err := json.Marshal(r)
	if err != nil { // an id that is not JSON: Unmarshal has seen to it that there is none
		panic(err)
	}
	return b
}
