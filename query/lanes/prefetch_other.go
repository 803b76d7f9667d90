//go:build !amd64

package lanes

// Prefetch does nothing on other processors.
func Prefetch[T any](*T) {}

// PrefetchLine does nothing on other processors.
func PrefetchLine[T any](*T) {}

// PrefetchValues does nothing on other processors.
func PrefetchValues[T Value]([]T) {}
