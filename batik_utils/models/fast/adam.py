"""Adam in one pass over memory: Keras' own takes ten small operations over every weight at every step."""

import batik_utils.backend  # noqa: F401  (before keras: one thread, quiet logs)

# isort: split
import keras


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam (Kingma & Ba 2015, in the form at the end of their section 2), one operation under TensorFlow."""

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable."""
        if keras.backend.backend() != "tensorflow":  # compiled as a whole there
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        def number(value):
            return keras.ops.cast(value, variable.dtype)

        step, index = number(self.iterations + 1), self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=keras.ops.power(number(self.beta_1), step),
            beta2_power=keras.ops.power(number(self.beta_2), step),
            lr=number(learning_rate),
            beta1=number(self.beta_1),
            beta2=number(self.beta_2),
            epsilon=number(self.epsilon),
            grad=gradient,
        )
