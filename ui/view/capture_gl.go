//go:build cgo && linux && !ci && !gles && !arm && !arm64 && !wayland

package view

import (
	"image"

	"fyne.io/fyne/v2"
	"github.com/go-gl/gl/v2.1/gl"
)

// readBackBuffer reads the pixels that were drawn last, or nil where the window
// is not drawn by OpenGL.
func readBackBuffer(win fyne.Window, size image.Point) image.Image {
	context, ok := win.(interface{ RunWithContext(func()) })
	if !ok || size.X <= 0 || size.Y <= 0 {
		return nil
	}
	pix := make([]uint8, size.X*size.Y*4)
	context.RunWithContext(func() {
		gl.ReadBuffer(gl.BACK)
		gl.ReadPixels(0, 0, int32(size.X), int32(size.Y), gl.RGBA, gl.UNSIGNED_BYTE, gl.Ptr(pix))
	})
	img := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y { // OpenGL counts lines from below
		copy(img.Pix[y*img.Stride:], pix[(size.Y-1-y)*size.X*4:(size.Y-y)*size.X*4])
	}
	return img
}
